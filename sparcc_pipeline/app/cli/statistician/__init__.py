"""Commands of `sparcc trial` for the statistician and the data manager."""
