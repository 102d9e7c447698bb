"""One turn of a conversation: admission, the turn itself, and the service that ties them."""
