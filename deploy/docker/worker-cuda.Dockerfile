# The worker for NVIDIA GPUs, on the genuine TorchSharp, which brings libtorch and the CUDA libraries with it; the
# driver's own libraries come from the node, through the NVIDIA container runtime. Build from the repository's root:
#   docker build -f deploy/docker/worker-cuda.Dockerfile -t cluster/worker-cuda .
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
RUN dotnet publish services/Worker/Worker.csproj -c Release -p:PackageSet=nuget -r linux-x64 --self-contained false -o /app

FROM debian:12-slim AS data
RUN apt-get update && apt-get install -y --no-install-recommends dataset-fashion-mnist libturbojpeg0 libjemalloc2

FROM mcr.microsoft.com/dotnet/aspnet:10.0
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /app
COPY --from=build /app .
COPY --from=data /usr/share/datasets /usr/share/datasets
COPY --from=data /usr/lib/x86_64-linux-gnu/libturbojpeg.so.0 /usr/lib/x86_64-linux-gnu/libjemalloc.so.2 /usr/lib/x86_64-linux-gnu/
RUN install -d -o $APP_UID -g $APP_UID /var/lib/cluster-worker
USER $APP_UID
EXPOSE 7071
ENTRYPOINT ["./Cluster.Worker", "agent"]
