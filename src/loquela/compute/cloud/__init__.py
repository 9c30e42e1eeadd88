"""A rented machine: recipe ─ staging ─▶ task ─ SkyPilot ─▶ guard (there) ─▶ DONE ─ fetched and proven ─▶ released."""
