# An image that runs lwtrain on the CPU at full speed:
#
#   docker build -t lwtrain .
#   docker run --rm -it -v "$PWD:/work" lwtrain sft -c smollm2-quickstart model.path=HuggingFaceTB/SmolLM2-135M-Instruct
#
# Runs, models and data lie in /work, the hub's cache in /work/.cache. On GPUs: docs/gpus.md.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# lwtrain version says the commit where the context is a clone.
RUN vcs=$(git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false) \
 && CGO_ENABLED=1 go build -trimpath -buildvcs=$vcs -ldflags '-s -w' -o /lwtrain ./cmd/lwtrain

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libdnnl2 libgomp1 ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /lwtrain /usr/local/bin/lwtrain
ENV HF_HOME=/work/.cache/huggingface
WORKDIR /work
ENTRYPOINT ["lwtrain"]
CMD ["--help"]
