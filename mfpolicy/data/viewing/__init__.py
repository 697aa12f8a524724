"""Episodes to look at: a page for any browser, or a recording for rerun's viewer."""

from mfpolicy.data.viewing.episodes import ViewedEpisode, viewed_episodes
from mfpolicy.data.viewing.page import write_page
from mfpolicy.data.viewing.recording import open_viewer, write_recording

__all__ = ["ViewedEpisode", "open_viewer", "viewed_episodes", "write_page", "write_recording"]
