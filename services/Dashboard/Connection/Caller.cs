using System.Security.Claims;
using Cluster.Contracts.V1;
using Grpc.Core;
using Microsoft.AspNetCore.Components.Authorization;

namespace Cluster.Dashboard.Connection;

/// <summary>Calls to the schedulers as the visitor whose page it is.</summary>
public sealed class Caller(SchedulerConnection schedulers, AuthenticationStateProvider session)
{
    /// <summary>What a session's claim of its token is called.</summary>
    public const string TokenClaim = "token";

    public JobService.JobServiceClient Jobs => schedulers.Jobs;

    public ExperimentService.ExperimentServiceClient Experiments => schedulers.Experiments;

    public ModelService.ModelServiceClient Models => schedulers.Models;

    public NodeService.NodeServiceClient Nodes => schedulers.Nodes;

    public DataService.DataServiceClient Data => schedulers.Data;

    public QueueService.QueueServiceClient Queues => schedulers.Queues;

    public ReportService.ReportServiceClient Reports => schedulers.Reports;

    public RunService.RunServiceClient Runs => schedulers.Runs;

    public CheckpointService.CheckpointServiceClient Checkpoints => schedulers.Checkpoints;

    /// <summary>The token that a signed-in visitor's calls carry.</summary>
    public static string TokenOf(ClaimsPrincipal user) => user.FindFirstValue(TokenClaim) ?? "";

    public async Task<string> TokenAsync() => TokenOf((await session.GetAuthenticationStateAsync()).User);

    /// <inheritdoc cref="SchedulerConnection.Call"/>
    public async Task<CallOptions> CallAsync(CancellationToken cancellationToken) =>
        SchedulerConnection.Call(await TokenAsync(), cancellationToken);

    /// <inheritdoc cref="SchedulerConnection.Stream"/>
    public async Task<CallOptions> StreamAsync(CancellationToken cancellationToken) =>
        SchedulerConnection.Stream(await TokenAsync(), cancellationToken);
}
