using YamlDotNet.RepresentationModel;
using static Cluster.Architecture.Tests.Kubernetes.Manifests;

namespace Cluster.Architecture.Tests.Kubernetes;

/// <summary>Network policies, read as a cluster reads them: a connection needs the leave of both its ends.</summary>
public sealed class NetworkTests
{
    private const string NameLabel = "app.kubernetes.io/name";

    [Theory]
    [InlineData("scheduler", "scheduler", 7090, true)]
    [InlineData("scheduler", "worker", 7071, true)]
    [InlineData("worker", "scheduler", 7070, true)]
    // Trainers, on whatever port they listen.
    [InlineData("worker", "worker", 43210, true)]
    [InlineData("dashboard", "scheduler", 7070, true)]
    [InlineData("scheduler", "postgres", 5432, true)]
    [InlineData("scheduler", "collector", 4317, true)]
    [InlineData("worker", "collector", 4317, true)]
    [InlineData("anything", "scheduler", 7070, true)]
    [InlineData("anything", "scheduler", 7081, true)]
    [InlineData("anything", "dashboard", 7080, true)]
    [InlineData("worker", "postgres", 5432, false)]
    [InlineData("dashboard", "postgres", 5432, false)]
    [InlineData("anything", "postgres", 5432, false)]
    [InlineData("dashboard", "worker", 7071, false)]
    [InlineData("anything", "worker", 7071, false)]
    [InlineData("worker", "scheduler", 7090, false)]
    [InlineData("anything", "scheduler", 7090, false)]
    [InlineData("scheduler", "worker", 22, false)]
    [InlineData("worker", "anything", 443, false)]
    [InlineData("dashboard", "anything", 443, false)]
    [InlineData("postgres", "anything", 443, false)]
    public void Connection_IsAllowedOrNot(string from, string to, int port, bool isAllowed)
    {
        var policies = Overlay("overlays/single-node").Where(document => Text(document, "kind") == "NetworkPolicy").ToList();

        (MayLeave(policies, from, to, port) && MayEnter(policies, from, to, port)).ShouldBe(isAllowed);
    }

    [Fact]
    public void EveryPod_HasAPolicyForBothWays()
    {
        foreach (var overlay in new[] { "overlays/single-node", "overlays/farm" })
        {
            var objects = Overlay(overlay);
            var policies = objects.Where(document => Text(document, "kind") == "NetworkPolicy").ToList();
            foreach (var pod in objects.Where(document => Text(document, "kind") is "Deployment" or "StatefulSet").Select(Name))
            {
                Of(policies, pod, "Ingress").ShouldNotBeEmpty(pod);
                Of(policies, pod, "Egress").ShouldNotBeEmpty(pod);
            }
        }
    }

    private static bool MayEnter(List<YamlMappingNode> policies, string from, string to, int port) =>
        Of(policies, to, "Ingress").ToList() is var own && (own.Count == 0
            || own.SelectMany(policy => Sequence(policy, "spec", "ingress")).Any(rule => Names(rule, "from", from) && Opens(rule, port)));

    private static bool MayLeave(List<YamlMappingNode> policies, string from, string to, int port) =>
        Of(policies, from, "Egress").ToList() is var own && (own.Count == 0
            || own.SelectMany(policy => Sequence(policy, "spec", "egress")).Any(rule => Names(rule, "to", to) && Opens(rule, port)));

    /// <param name="pod">"anything" stands for what has no policy here.</param>
    private static IEnumerable<YamlMappingNode> Of(IEnumerable<YamlMappingNode> policies, string pod, string way) =>
        policies.Where(policy => pod != "anything" && Selects(Get(policy, "spec", "podSelector")!, pod)
            && ((YamlSequenceNode)Get(policy, "spec", "policyTypes")!).Any(type => type.ToString() == way));

    private static bool Names(YamlMappingNode rule, string end, string pod) =>
        Get(rule, end) is null || Sequence(rule, end).Any(peer => Selects(Get(peer, "podSelector")!, pod));

    private static bool Opens(YamlMappingNode rule, int port) =>
        Get(rule, "ports") is null || Sequence(rule, "ports").Any(open => Text(open, "port") == $"{port}");

    private static bool Selects(YamlNode selector, string pod)
    {
        if (Get(selector, "matchLabels") is YamlMappingNode labels)
            return labels.Children.All(label => label.Key.ToString() == NameLabel && label.Value.ToString() == pod);
        return Sequence((YamlMappingNode)selector, "matchExpressions").All(expression =>
            Text(expression, "key") == NameLabel && Text(expression, "operator") == "In"
            && ((YamlSequenceNode)Get(expression, "values")!).Any(value => value.ToString() == pod));
    }
}
