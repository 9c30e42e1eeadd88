"""The metrics of answers; each public function of these files is registered under its own name."""
