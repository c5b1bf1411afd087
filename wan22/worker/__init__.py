"""Drains the queue: claims the next task, has it carried out in the device's thread, records how it ended."""
