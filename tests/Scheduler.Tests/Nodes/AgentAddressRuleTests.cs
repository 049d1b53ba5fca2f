using System.Net;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Nodes;

public sealed class AgentAddressRuleTests(PostgresServer postgres)
{
    private static readonly IPNetwork[] Ours = [IPNetwork.Parse("10.20.0.0/16"), IPNetwork.Parse("fd00::/8")];

    [Theory]
    [InlineData("10.20.3.4", null)]
    [InlineData("192.168.7.7", null)]
    [InlineData("fd00::7", null)]
    [InlineData("127.0.0.1", "own machine")]
    [InlineData("127.9.9.9", "own machine")]
    [InlineData("::1", "own machine")]
    [InlineData("::ffff:127.0.0.1", "own machine")]
    [InlineData("169.254.169.254", "link-local")]
    [InlineData("::ffff:169.254.169.254", "link-local")]
    [InlineData("fe80::1", "link-local")]
    [InlineData("224.0.0.1", "multicast")]
    [InlineData("255.255.255.255", "multicast")]
    [InlineData("ff02::1", "multicast")]
    [InlineData("0.0.0.0", "wildcard")]
    public void Address_GivenFromAfar_IsOneThatANodeCanHave(string address, string? fault)
    {
        var found = AgentAddressRule.Fault(IPAddress.Parse(address), isCallerHere: false, []);

        if (fault is null)
            found.ShouldBeNull();
        else
            found.ShouldNotBeNull().ShouldContain(fault);
    }

    [Theory]
    [InlineData("10.20.3.4", true)]
    [InlineData("::ffff:10.20.3.4", true)]
    [InlineData("fd00::7", true)]
    [InlineData("10.21.0.1", false)]
    [InlineData("127.0.0.1", false)]
    public void Address_LiesInANetworkOfTheSetting_WhereThereIsOne(string address, bool isOurs)
    {
        var found = AgentAddressRule.Fault(IPAddress.Parse(address), isCallerHere: true, Ours);

        if (isOurs)
            found.ShouldBeNull();
        else
            found.ShouldNotBeNull().ShouldContain("Nodes:AgentNetworks");
    }

    [Fact]
    public async Task Address_ThatIsRefused_IsNeverCalled_AndIsInTheAudit()
    {
        var cancelled = TestContext.Current.CancellationToken;
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Nodes:AgentNetworks:0", "10.20.0.0/16"));
        var registration = new RegisterRequest
        {
            NodeId = $"{Guid.NewGuid()}",
            Name = "node-a",
            AgentAddress = "http://169.254.169.254:80",
            AgentSecret = "agent secret",
            Incarnation = "1",
            AgentVersion = "test",
            Devices = { new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1, MemoryBytes = 1 << 30 } },
            DataSets = { "fashion-mnist" },
        };

        var refusal = await Should.ThrowAsync<RpcException>(() => scheduler.Registry().RegisterAsync(registration).ResponseAsync);

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldContain("in none of the networks of Nodes:AgentNetworks");
        (await scheduler.Nodes().ListNodesAsync(new ListNodesRequest(), cancellationToken: cancelled)).Nodes.ShouldBeEmpty();
        var submit = new SubmitJobRequest { RequestId = "one", Spec = JobSpecBuilder.AJob().Build(), WaitForCapacity = true };
        await scheduler.Jobs().SubmitJobAsync(submit, cancellationToken: cancelled);
        await Eventually.HoldsAsync(async () => (await scheduler.Audit().ListAuditAsync(
            new ListAuditRequest { Action = "AgentRegistryService/Register", Object = registration.NodeId, Status = "InvalidArgument" }))
            .Entries.Count == 1);
        (scheduler.Agents.Launches.Count, scheduler.Agents.Descriptions.Count).ShouldBe((0, 0));
    }

    [Fact]
    public async Task AnotherNodesAddress_IsRefused_WhileThatOneLives()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync("node-a");
        var rule = new AgentAddressRule(cluster.Get<NodeStore>(), Options.Create(new NodeOptions()));

        await Should.ThrowAsync<AgentAddressException>(() => CheckAsync(NodeId.New()));
        await CheckAsync(node.Id);
        cluster.Time.Advance(new NodeOptions().LeaseDuration);
        await cluster.ReconcileAsync();
        await CheckAsync(NodeId.New());

        Task CheckAsync(NodeId id) =>
            rule.CheckAsync(id, node.Address.ToString(), IPAddress.Loopback, TestContext.Current.CancellationToken);
    }
}
