# The worker for CPUs, on Debian's libtorch through the stand-in for TorchSharp. Build from the repository's root:
#   docker build -f deploy/docker/worker-cpu.Dockerfile -t cluster/worker-cpu .
# The shim is compiled on the distribution that it runs on; .NET comes self-contained, so that both fit together.
FROM debian:12 AS shim
RUN apt-get update && apt-get install -y --no-install-recommends cmake g++ make libtorch-dev
WORKDIR /src
COPY polyfills/TorchSharp/native native
RUN cmake -S native -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build --parallel

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
COPY --from=shim /src/build/libLibTorchSharp.so polyfills/TorchSharp/native/build/
RUN dotnet publish services/Worker/Worker.csproj -c Release -r linux-x64 --self-contained -o /app

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libtorch1.13 libopenblas0-pthread libturbojpeg0 libjemalloc2 libssl3 ca-certificates dataset-fashion-mnist \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1654 --no-create-home --shell /usr/sbin/nologin app \
 && install -d -o app -g app /var/lib/cluster-worker
WORKDIR /app
COPY --from=build /app .
USER 1654
EXPOSE 7071
ENTRYPOINT ["./Cluster.Worker", "agent"]
