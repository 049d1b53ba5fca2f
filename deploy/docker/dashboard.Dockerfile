# The web pages. Build from the repository's root:
#   docker build -f deploy/docker/dashboard.Dockerfile -t cluster/dashboard .
FROM mcr.microsoft.com/dotnet/sdk:10.0.401-noble AS build
WORKDIR /src
COPY . .
RUN dotnet publish services/Dashboard/Dashboard.csproj -c Release -r linux-x64 --self-contained false -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0.12-noble
RUN install -d -o 1654 -g 1654 /var/lib/cluster-dashboard
WORKDIR /app
COPY --from=build /app .
# The user app, which the base image brings for this: no shell, no password.
USER 1654
EXPOSE 7080
ENTRYPOINT ["./Cluster.Dashboard"]
