using System.Net;
using System.Net.Sockets;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Contracts.Tests.Access;

public sealed class LateConnectionTests
{
    /// <summary>As of a machine that is too busy to end TLS' handshake in time: another try, or another scheduler, may help.</summary>
    [Fact]
    public async Task Handshake_ThatIsNotEndedInTime_IsAbsence_AndNotTheCallersOwnCancelling()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        SchedulerAddresses.TryParse($"https://{silent.LocalEndpoint}", out var addresses).ShouldBeTrue();
        using var channel = addresses.OpenChannel(ConnectionPings.Patient, certificates: null);

        var fault = await Should.ThrowAsync<RpcException>(() => new JobService.JobServiceClient(channel).ListJobsAsync(
            new ListJobsRequest(), cancellationToken: TestContext.Current.CancellationToken).ResponseAsync);

        fault.StatusCode.ShouldBe(StatusCode.Unavailable);
    }
}
