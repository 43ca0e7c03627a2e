"""One attempt at a push request: claim it, push to its addresses, write what came of them."""
