"""Settings chosen by one search for all, on days or worlds that no report uses."""
