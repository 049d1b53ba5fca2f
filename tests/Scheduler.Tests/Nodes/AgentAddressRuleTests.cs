using System.Net;
using Cluster.Contracts;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
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
