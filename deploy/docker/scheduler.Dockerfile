# The scheduler, on the genuine packages. Build from the repository's root:
#   docker build -f deploy/docker/scheduler.Dockerfile -t cluster/scheduler .
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
ARG PACKAGE_SET=nuget
RUN dotnet publish services/Scheduler/Scheduler.csproj -c Release -p:PackageSet=$PACKAGE_SET -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
WORKDIR /app
COPY --from=build /app .
# The user that the base image brings for this: uid 1654, no shell, no home.
USER $APP_UID
EXPOSE 7070 7080
ENTRYPOINT ["./Cluster.Scheduler"]
