"""Protection from files that end, hang or fill the process that reads them."""
