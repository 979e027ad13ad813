#!/bin/bash
# Codex with its built-in provider `openai`, pointed at the gateway by `openai_base_url`. usage: run_codex-openai.sh BASE_URL
# Unlike a provider of one's own it signs in (the key goes into CODEX_HOME/auth.json), asks for a WebSocket
# first (the gateway answers 426, Codex falls back to HTTP at once), and compacts remotely.
NAME=codex-openai; . "${METIS_CLIENTS:?the folder with lib.sh and the other run_*.sh}/lib.sh" "$@"
mkdir -p "$H/.codex"
cat > "$H/.codex/config.toml" <<EOC
model = "${C_MODEL:-gpt-5.2-codex}"
openai_base_url = "$BASE/v1"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
cli_auth_credentials_store = "file"
${CODEX_CFG:-}
[analytics]
enabled = false
[projects."$W"]
trust_level = "trusted"
EOC
CODEX=$CLIENTS/npm/codex/node_modules/.bin/codex
scrub CODEX_HOME="$H/.codex" -- "$CODEX" login --with-api-key <<<"$KEY" >"$OUT" 2>&1 || finish $?
scrub CODEX_HOME="$H/.codex" ${CODEX_ENV:-X=1} -- \
  "$CODEX" exec --skip-git-repo-check ${CODEX_ARGS:-} "$PROMPT" </dev/null >>"$OUT" 2>&1
finish $? tool
