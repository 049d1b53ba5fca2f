using System.Diagnostics;
using YamlDotNet.RepresentationModel;

namespace Cluster.Architecture.Tests;

/// <summary>The kustomize base, as kubectl renders it: what it refers to exists, and it says what the images do.</summary>
public sealed class KubernetesBaseTests
{
    private static readonly Lazy<IReadOnlyList<YamlMappingNode>> Rendered = new(Render);

    [Fact]
    public void Workers_AskForAGpuAndHaveASizedSharedMemory()
    {
        var pod = PodSpec("worker");
        var container = Containers(pod).ShouldHaveSingleItem();

        int.Parse(Text(container, "resources", "limits", "nvidia.com/gpu")).ShouldBeGreaterThan(0);
        var mount = Sequence(container, "volumeMounts").Single(mount => Text(mount, "mountPath") == "/dev/shm");
        var volume = Sequence(pod, "volumes").Single(volume => Text(volume, "name") == Text(mount, "name"));
        Text(volume, "emptyDir", "medium").ShouldBe("Memory");
        Text(volume, "emptyDir", "sizeLimit").ShouldEndWith("Gi");
    }

    [Fact]
    public void EveryContainer_HasALivenessProbeAndDoesNotRunAsRoot()
    {
        foreach (var workload in Workloads())
        {
            var pod = (YamlMappingNode)Get(workload, "spec", "template", "spec")!;
            Text(pod, "securityContext", "runAsNonRoot").ShouldBe("true", Name(workload));
            foreach (var container in Containers(pod))
            {
                Get(container, "livenessProbe").ShouldNotBeNull(Name(workload));
                Get(container, "resources", "limits", "memory").ShouldNotBeNull(Name(workload));
            }
        }
    }

    [Fact]
    public void EveryProbe_NamesAPortThatItsContainerOpens()
    {
        foreach (var container in Workloads()
            .SelectMany(workload => Containers((YamlMappingNode)Get(workload, "spec", "template", "spec")!)))
        {
            var ports = Sequence(container, "ports").Select(port => Text(port, "name")).ToList();
            foreach (var probe in new[] { "startupProbe", "readinessProbe", "livenessProbe" })
            {
                if ((Get(container, probe, "httpGet", "port") ?? Get(container, probe, "tcpSocket", "port")) is YamlScalarNode port)
                {
                    ports.ShouldContain(port.Value!);
                }
            }
        }
    }

    [Fact]
    public void EveryService_SelectsPodsThatExist()
    {
        var podLabels = Workloads().Select(workload => Labels(Get(workload, "spec", "template", "metadata", "labels"))).ToList();

        foreach (var service in OfKind("Service"))
        {
            var selector = Labels(Get(service, "spec", "selector"));
            podLabels.ShouldContain(labels => selector.All(wanted => labels.Contains(wanted)), Name(service));
        }
    }

    /// <summary>A Secret is made by hand, so README.md beside the base must name every key that is used.</summary>
    [Fact]
    public void EverySecretKey_IsOneThatTheReadmeMakes()
    {
        var readme = File.ReadAllText(Repository.PathOf("deploy/k8s/README.md"));
        var nodes = Rendered.Value.SelectMany(document => document.AllNodes).OfType<YamlMappingNode>().ToList();
        var used = nodes.Where(node => Get(node, "secretKeyRef") is not null).Select(node => Text(node, "secretKeyRef", "key"))
            .Concat(nodes.Where(node => Get(node, "secret", "items") is not null)
                .SelectMany(node => Sequence(node, "secret", "items")).Select(item => Text(item, "key")))
            .Distinct().ToList();

        used.ShouldNotBeEmpty();
        foreach (var key in used)
        {
            readme.ShouldContain($"--from-literal={key}=");
        }
    }

    [Fact]
    public void EveryConfigMapVolume_IsGenerated()
    {
        var maps = OfKind("ConfigMap").Select(Name).ToList();
        var used = Rendered.Value.SelectMany(document => document.AllNodes).OfType<YamlMappingNode>()
            .Select(node => Get(node, "configMap", "name")).OfType<YamlScalarNode>().Select(node => node.Value!).ToList();

        used.ShouldNotBeEmpty();
        used.ShouldAllBe(name => maps.Contains(name));
    }

    [Theory]
    [InlineData("scheduler")]
    [InlineData("worker")]
    [InlineData("dashboard")]
    public void EverySetting_IsAnOptionOfTheProgram(string workload)
    {
        var settings = Containers(PodSpec(workload)).SelectMany(container => Sequence(container, "env"))
            .Select(variable => Text(variable, "name")).Where(name => name.Contains("__", StringComparison.Ordinal));

        foreach (var setting in settings)
        {
            OptionNames.All.ShouldContain(setting);
        }
    }

    [Theory]
    [InlineData("cluster/scheduler", "deploy/docker/scheduler.Dockerfile")]
    [InlineData("cluster/worker", "deploy/docker/worker.Dockerfile")]
    [InlineData("cluster/dashboard", "deploy/docker/dashboard.Dockerfile")]
    public void EveryOwnImage_HasADockerfileWithTheUserOfItsPods(string image, string dockerfile)
    {
        Workloads().SelectMany(workload => Containers((YamlMappingNode)Get(workload, "spec", "template", "spec")!))
            .ShouldContain(container => Text(container, "image").StartsWith(image + ":", StringComparison.Ordinal));
        File.ReadAllText(Repository.PathOf(dockerfile)).ShouldContain("USER $APP_UID");
    }

    private static List<YamlMappingNode> Render()
    {
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl", ["kustomize", Repository.PathOf("deploy/k8s")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = kubectl.StandardError.ReadToEndAsync();
        var yaml = kubectl.StandardOutput.ReadToEnd();
        kubectl.WaitForExit();
        kubectl.ExitCode.ShouldBe(0, errors.GetAwaiter().GetResult());

        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return [.. stream.Documents.Select(document => (YamlMappingNode)document.RootNode)];
    }

    private static IEnumerable<YamlMappingNode> OfKind(params string[] kinds) =>
        Rendered.Value.Where(document => kinds.Contains(Text(document, "kind")));

    private static IEnumerable<YamlMappingNode> Workloads() => OfKind("Deployment", "StatefulSet");

    private static YamlMappingNode PodSpec(string name) =>
        (YamlMappingNode)Get(Workloads().Single(workload => Name(workload) == name), "spec", "template", "spec")!;

    private static IEnumerable<YamlMappingNode> Containers(YamlMappingNode pod) => Sequence(pod, "containers");

    private static string Name(YamlMappingNode document) => Text(document, "metadata", "name");

    private static HashSet<string> Labels(YamlNode? node) =>
        [.. ((YamlMappingNode)node!).Children.Select(label => $"{label.Key}={label.Value}")];

    private static IEnumerable<YamlMappingNode> Sequence(YamlMappingNode node, params string[] path) =>
        Get(node, path) is YamlSequenceNode sequence ? sequence.Children.Cast<YamlMappingNode>() : [];

    private static string Text(YamlMappingNode node, params string[] path) =>
        (Get(node, path) as YamlScalarNode)?.Value ?? throw new KeyNotFoundException(string.Join('.', path));

    private static YamlNode? Get(YamlNode node, params string[] path)
    {
        var here = node;
        foreach (var key in path)
        {
            if (here is not YamlMappingNode mapping || !mapping.Children.TryGetValue(new YamlScalarNode(key), out here))
            {
                return null;
            }
        }

        return here;
    }
}
