"""Networks: configuration → transformer, lstm or gru → Hugging Face folder and back."""
