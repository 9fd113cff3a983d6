"""What is to be learned, and how it is judged: data, sampler, protocol, test, pictures."""
