"""Makes a smaller variant of a model's weights on disk, a slice of a tensor at a time, whatever the model's size.

`plan` tells what is to be written, and whether it fits; `conversion` runs it. `source` knows where in the files each
tensor lies, `layout` which files come of them, as diffusers would save them, `slices` turns the one into the other;
`originals` are what is no longer needed then. Which variant is made of which is left to others.
"""

from wan22.models.convert.conversion import Conversion
from wan22.models.convert.plan import ConversionPlan, make_plan

__all__ = ["Conversion", "ConversionPlan", "make_plan"]
