"""Step 0: the base model's weights, dequantized once."""
from organism import *
from safetensors.torch import save_file
save_file(load_base(sys.argv[1]), sys.argv[2])
