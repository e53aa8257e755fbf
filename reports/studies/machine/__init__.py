"""What computes cells, knowing no question: workers, engines, states, what a run says of itself."""
