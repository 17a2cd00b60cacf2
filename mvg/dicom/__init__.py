"""DICOM in and out: read.py gives an image without its patient, write.py a Secondary Capture marked as synthetic."""
