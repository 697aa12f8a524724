"""A PointNet and a U-Net or an MLP-Mixer in compiled calls, on weights packed for reading once."""
