"""safetensors: the Hugging Face folder, run by transformers and by Loquela."""
