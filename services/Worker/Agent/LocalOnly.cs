using System.Net.Sockets;
using Cluster.Contracts.V1;
using Microsoft.AspNetCore.Connections.Features;

namespace Cluster.Worker.Agent;

/// <summary>Keeps the two sides of the agent apart: the network reaches AgentService alone, trainers everything else.</summary>
internal static class LocalOnly
{
    private static readonly string AgentPath = $"/{AgentService.Descriptor.FullName}/";

    public static Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var local = context.Features.Get<IConnectionSocketFeature>()?.Socket.AddressFamily == AddressFamily.Unix;
        var forNetwork = context.Request.Path.Value?.StartsWith(AgentPath, StringComparison.Ordinal) == true;
        if (local != forNetwork)
            return next(context);
        // gRPC clients read this as Unimplemented.
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}
