# The web pages. Build from the repository's root:
#   docker build -f deploy/docker/dashboard.Dockerfile -t cluster/dashboard .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /src
COPY . .
RUN dotnet publish services/Dashboard/Dashboard.csproj -c Release -r linux-x64 --self-contained false -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble
RUN install -d -o $APP_UID -g $APP_UID /var/lib/cluster-dashboard
WORKDIR /app
COPY --from=build /app .
# The user that the base image brings for this: uid 1654, no shell, no home.
USER $APP_UID
EXPOSE 7080
ENTRYPOINT ["./Cluster.Dashboard"]
