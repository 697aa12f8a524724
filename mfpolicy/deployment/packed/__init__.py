"""A PointNet and a U-Net as one compiled call each, on weights packed for reading once."""
