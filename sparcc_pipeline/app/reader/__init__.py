"""The page on which blinded readers score studies: `sparcc reader`."""
