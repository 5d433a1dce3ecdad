"""How one question is sampled: prompts, parallel and chain pulls, the learned share of chains."""
