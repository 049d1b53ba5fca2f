# The scheduler. Build from the repository's root:
#   docker build -f deploy/docker/scheduler.Dockerfile -t cluster/scheduler .
FROM mcr.microsoft.com/dotnet/sdk:10.0.401-noble AS build
WORKDIR /src
COPY . .
RUN dotnet publish services/Scheduler/Scheduler.csproj -c Release -r linux-x64 --self-contained false -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0.12-noble
WORKDIR /app
COPY --from=build /app .
# The user app, which the base image brings for this: no shell, no password.
USER 1654
# gRPC, REST and probes, and the silo's port for the other schedulers.
EXPOSE 7070 7081 7090
ENTRYPOINT ["./Cluster.Scheduler"]
