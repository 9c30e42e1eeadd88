"""What stages hand to each other, on disk: every artifact is a folder whose `manifest.json` is written last.

    corpus/  tokenizer/  shards/  checkpoint/  report/     = files + manifest (digests, lineage, settings)

Without a valid manifest an artifact does not exist. No tensor library is imported here.
"""
