# The worker: for CPUs, or for NVIDIA GPUs with --build-arg ACCELERATOR=cuda. Build from the repository's root:
#   docker build -f deploy/docker/worker.Dockerfile -t cluster/worker .
# libtorch comes as a package, its CUDA build with the CUDA libraries; a GPU's driver comes from the node, through the NVIDIA container
# runtime.
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
ARG ACCELERATOR=cpu
WORKDIR /src
COPY . .
RUN dotnet publish services/Worker/Worker.csproj -c Release -r linux-x64 --self-contained false -p:Accelerator=$ACCELERATOR -o /app

FROM debian:12-slim AS data
RUN apt-get update && apt-get install -y --no-install-recommends dataset-fashion-mnist

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble
RUN apt-get update \
 && apt-get install -y --no-install-recommends libturbojpeg libjemalloc2 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o $APP_UID -g $APP_UID /var/lib/cluster-worker
# Read by the NVIDIA container runtime, and by nothing where there is none.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
COPY --from=build /app .
COPY --from=data /usr/share/datasets /usr/share/datasets
# The user that the base image brings for this: uid 1654, no shell, no home.
USER $APP_UID
EXPOSE 7071
ENTRYPOINT ["./Cluster.Worker", "agent"]
