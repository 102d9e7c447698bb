"""One question and its answer: admission, the reply, and the service that ties them."""
