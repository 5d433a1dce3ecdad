"""Token ids in, token ids out: the protocol, the scheduler, llama.cpp."""
