# The worker: for CPUs, or for NVIDIA GPUs with --build-arg ACCELERATOR=cuda. Build from the repository's root:
#   docker build -f deploy/docker/worker.Dockerfile -t cluster/worker .
# libtorch comes as a package, its CUDA build with the CUDA libraries but without NCCL; a GPU's driver comes from the node, through the
# NVIDIA container runtime. Ubuntu 24.04's libstdc++ is as new as TorchSharp's native part asks for.
ARG ACCELERATOR=cpu

FROM mcr.microsoft.com/dotnet/sdk:10.0.401-noble AS build
ARG ACCELERATOR
WORKDIR /src
COPY . .
RUN dotnet publish services/Worker/Worker.csproj -c Release -r linux-x64 --self-contained false -p:Accelerator=$ACCELERATOR -o /app

FROM debian:12.11-slim AS data
RUN apt-get update && apt-get install -y --no-install-recommends dataset-fashion-mnist

FROM mcr.microsoft.com/dotnet/aspnet:10.0.12-noble AS system-cpu
RUN apt-get update \
 && apt-get install -y --no-install-recommends libturbojpeg libjemalloc2 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 1654 -g 1654 /var/lib/cluster-worker

FROM system-cpu AS system-cuda
COPY --from=nvidia/cuda:12.8.1-runtime-ubuntu24.04 /usr/lib/x86_64-linux-gnu/libnccl.so.2* /usr/lib/x86_64-linux-gnu/
# Read by the NVIDIA container runtime.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM system-$ACCELERATOR
WORKDIR /app
COPY --from=build /app .
COPY --from=data /usr/share/datasets /usr/share/datasets
# The user app, which the base image brings for this: no shell, no password.
USER 1654
EXPOSE 7071
ENTRYPOINT ["./Cluster.Worker", "agent"]
