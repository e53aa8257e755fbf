"""What live designs would have reported, beside the truth; what they need to see an effect."""
