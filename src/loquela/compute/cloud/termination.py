"""How a rented machine ends itself from inside, for each cloud."""

from __future__ import annotations

from loquela.recipe.cloud_section import CloudProvider

# The variables of the container's first process are not those of a shell that comes in by ssh.
_RUNPOD = r"""set -eu
export $(tr '\0' '\n' </proc/1/environ | grep -E '^RUNPOD_(POD_ID|API_KEY)=')
if command -v runpodctl >/dev/null; then runpodctl remove pod "$RUNPOD_POD_ID" && exit 0; fi
curl --fail --silent --show-error --max-time 30 -X DELETE \
  -H "Authorization: Bearer $RUNPOD_API_KEY" "https://rest.runpod.io/v1/pods/$RUNPOD_POD_ID"
"""
# Elsewhere a machine that is shut down stops costing its GPU; SkyPilot's own daemon there takes it away when idle.
_ELSEWHERE = "sudo shutdown -h now\n"


def termination_script(provider: CloudProvider) -> str:
    """Shell script, to be run on the machine itself, after which it costs nothing more (a stopped disk aside)."""
    return "# Ends this machine.\n" + (_RUNPOD if provider == "runpod" else _ELSEWHERE)
