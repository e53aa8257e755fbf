"""Every rival in the same worlds: money, recall, costs."""
