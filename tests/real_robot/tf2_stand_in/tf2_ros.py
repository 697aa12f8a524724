"""What the node calls of ``tf2_ros``, of which there are no wheels; told what tf knows."""


class TransformException(Exception):
    """As tf2's: there is no way from one frame to the other."""


class Buffer:
    """What is known: ``TransformStamped`` by source frame."""

    def __init__(self):
        self.known = {}

    def lookup_transform(self, target_frame, source_frame, time):
        if source_frame not in self.known:
            raise TransformException(f"{target_frame} to {source_frame}")
        return self.known[source_frame]


class TransformListener:
    """Listens to nobody."""

    def __init__(self, buffer, node):
        self.buffer = buffer

    def unregister(self):
        self.buffer = None
