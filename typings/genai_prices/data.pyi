# The package's own data.py is 1.6 MB of literals: inferring them takes pyright 70 s, this takes none.
from genai_prices.types import Provider

providers: list[Provider]
