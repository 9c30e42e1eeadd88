"""The wire format of OpenAI's files, fine-tuning jobs, models and completions, so that its SDK drives Loquela.

What that format cannot say (event streams, resume from a checkpoint, reasons) stands beside it, in the native routes.
"""
