using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;
using static Cluster.Architecture.Tests.Kubernetes.Manifests;

namespace Cluster.Architecture.Tests.Kubernetes;

/// <summary>Both overlays, as kubectl renders them: what they refer to exists, and they say what the programs and images do.</summary>
public sealed partial class KubernetesTests
{
    private const string Farm = "overlays/farm";
    private const string SingleNode = "overlays/single-node";
    private const string Migration = "migrate";

    // Read by OpenTelemetry's and the system's libraries.
    private static readonly string[] OtherSettings = ["OTEL_EXPORTER_OTLP_ENDPOINT", "HOME"];

    [Theory]
    [InlineData(Farm, "values.yaml")]
    [InlineData(SingleNode, "values-single-node.yaml")]
    public void Chart_HasTheObjectsOfTheOverlay(string overlay, string values) => ShouldBeAlike(Overlay(overlay), Chart(values));

    [Fact]
    public void EncryptionBetweenTrainers_IsAValueOfTheChart_AndALineOfTheFarm()
    {
        var folder = Directory.CreateTempSubdirectory("cluster-tests-farm-").FullName;
        try
        {
            foreach (var file in Directory.EnumerateFiles(Repository.PathOf("deploy"), "*", SearchOption.AllDirectories))
            {
                var copy = Path.Combine(folder, Path.GetRelativePath(Repository.PathOf("deploy"), file));
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
                File.Copy(file, copy);
            }

            var farms = Path.Combine(folder, "k8s", Farm);
            var setting = Path.Combine(farms, "trainer-tls.yaml");
            File.WriteAllText(setting, File.ReadAllText(setting).Replace("\"false\"", "\"true\"", StringComparison.Ordinal));
            var farm = Documents(Kustomized(farms));

            ShouldBeAlike(farm, Chart("values.yaml", ("worker.trainerTls", "true")));
            TrainerTls(farm).ShouldBe("true");
            // Since it costs bandwidth.
            TrainerTls(Overlay(Farm)).ShouldBe("false");
            TrainerTls(Overlay(SingleNode)).ShouldBe("false");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static string TrainerTls(IEnumerable<YamlMappingNode> objects) => Text(
            Sequence(Containers(PodOf(Workload(objects, "worker"))).Single(), "env")
                .Single(variable => Text(variable, "name") == "Agent__TrainerTls"), "value");
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    [InlineData(Migration)]
    public void EveryPod_MayDoNothingThatItNeedNot(string overlay)
    {
        foreach (var workload in Workloads(Overlay(overlay)))
        {
            var pod = PodOf(workload);
            Text(pod, "automountServiceAccountToken").ShouldBe("false", Name(workload));
            Text(pod, "serviceAccountName").ShouldBe(Name(workload));
            Text(pod, "securityContext", "runAsNonRoot").ShouldBe("true", Name(workload));
            int.Parse(Text(pod, "securityContext", "runAsUser")).ShouldBeGreaterThan(0, Name(workload));
            Text(pod, "securityContext", "seccompProfile", "type").ShouldBe("RuntimeDefault", Name(workload));
            foreach (var container in Containers(pod))
            {
                Text(container, "securityContext", "readOnlyRootFilesystem").ShouldBe("true", Name(workload));
                Text(container, "securityContext", "allowPrivilegeEscalation").ShouldBe("false", Name(workload));
                Get(container, "securityContext", "capabilities", "drop").ShouldBeOfType<YamlSequenceNode>()
                    .ShouldHaveSingleItem().ToString().ShouldBe("ALL");
                Get(container, "resources", "requests", "cpu").ShouldNotBeNull(Name(workload));
                Get(container, "resources", "requests", "memory").ShouldNotBeNull(Name(workload));
                Get(container, "resources", "limits", "memory").ShouldNotBeNull(Name(workload));
                PinnedTag().IsMatch(Text(container, "image")).ShouldBeTrue(Text(container, "image"));
            }
        }
    }

    /// <summary>Of the chart, which has the overlays' objects: it is rendered where kubectl is too old for them.</summary>
    [Theory]
    [InlineData("values.yaml")]
    [InlineData("values-single-node.yaml")]
    public void EveryPod_HasAServiceAccountOfItsOwn_WithoutAToken(string values)
    {
        var objects = Chart(values);
        var accounts = OfKind(objects, "ServiceAccount").ToDictionary(Name);

        var workloads = Workloads(objects).ToList();
        workloads.Select(Name).ShouldContain("migrate");
        workloads.Select(workload => Text(PodOf(workload), "serviceAccountName")).ShouldBe(workloads.Select(Name));
        foreach (var workload in workloads)
            Text(accounts[Name(workload)], "automountServiceAccountToken").ShouldBe("false", Name(workload));
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    public void EveryServer_IsProbed_OnPortsThatItsContainerOpens(string overlay)
    {
        foreach (var container in Workloads(Overlay(overlay)).SelectMany(workload => Containers(PodOf(workload))))
        {
            var ports = Sequence(container, "ports").Select(port => Text(port, "name")).ToList();
            foreach (var probe in new[] { "readinessProbe", "livenessProbe", "startupProbe" })
            {
                (probe == "startupProbe" || Get(container, probe) is not null).ShouldBeTrue($"{probe} of {Text(container, "name")}");
                if ((Get(container, probe, "httpGet", "port") ?? Get(container, probe, "tcpSocket", "port")) is YamlScalarNode port)
                    ports.ShouldContain(port.Value!);
            }
        }
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    public void EveryServiceAndBudget_SelectsPodsThatExist_AndNoOthersOfTheirName(string overlay)
    {
        var objects = Overlay(overlay);
        foreach (var document in OfKind(objects, "Service"))
        {
            var pods = Selected(objects, Get(document, "spec", "selector"));
            var open = pods.SelectMany(pod => Containers(PodOf(pod))).SelectMany(container => Sequence(container, "ports"))
                .Select(port => (Text(port, "name"), Text(port, "containerPort"))).ToList();
            foreach (var port in Sequence(document, "spec", "ports"))
                open.ShouldContain((Text(port, "targetPort"), Text(port, "port")), Name(document));
        }

        foreach (var document in OfKind(objects, "PodDisruptionBudget"))
            Selected(objects, Get(document, "spec", "selector", "matchLabels")).ShouldHaveSingleItem(Name(document));
        foreach (var workload in Workloads(objects))
        {
            Labels(Get(workload, "spec", "selector", "matchLabels"))
                .IsSubsetOf(Labels(Get(workload, "spec", "template", "metadata", "labels"))).ShouldBeTrue(Name(workload));
            OfKind(objects, "ServiceAccount").Select(Name).ShouldContain(Text(PodOf(workload), "serviceAccountName"));
        }

        // A migration's pods answer no calls.
        var migration = Labels(Get(Workloads(Overlay(Migration)).Single(), "spec", "template", "metadata", "labels"));
        OfKind(objects, "Service").ShouldAllBe(service => !Labels(Get(service, "spec", "selector")).IsSubsetOf(migration));
    }

    /// <summary>A Secret is made by hand, so docs/kubernetes.md must name every key that is used.</summary>
    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    [InlineData(Migration)]
    public void EverySecretKey_IsOneThatTheDocumentationMakes(string overlay)
    {
        var documentation = File.ReadAllText(Repository.PathOf("docs/kubernetes.md"));
        var nodes = Overlay(overlay).SelectMany(document => document.AllNodes).OfType<YamlMappingNode>().ToList();
        var used = nodes.Where(node => Get(node, "secretKeyRef") is not null).Select(node => Text(node, "secretKeyRef", "key"))
            .Concat(nodes.Where(node => Get(node, "secret", "items") is not null)
                .SelectMany(node => Sequence(node, "secret", "items")).Select(item => Text(item, "key")))
            .Distinct().ToList();

        used.ShouldNotBeEmpty();
        used.ShouldAllBe(key => documentation.Contains($"--from-literal={key}="));
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    [InlineData(Migration)]
    public void EveryVolume_IsMountedWhereItIsDeclared_AndIsThere(string overlay)
    {
        var objects = Overlay(overlay);
        var maps = OfKind(objects, "ConfigMap").Select(map => Text(map, "metadata", "name")).ToList();
        foreach (var workload in Workloads(objects))
        {
            var volumes = Sequence(PodOf(workload), "volumes").ToList();
            var declared = volumes.Select(volume => Text(volume, "name"))
                .Concat(Sequence(workload, "spec", "volumeClaimTemplates").Select(claim => Text(claim, "metadata", "name")));
            var mounted = Containers(PodOf(workload)).SelectMany(container => Sequence(container, "volumeMounts"));
            mounted.Select(mount => Text(mount, "name")).Order().ShouldBe(declared.Order(), Name(workload));
            foreach (var map in volumes.Select(volume => Get(volume, "configMap", "name")).OfType<YamlScalarNode>())
                maps.ShouldContain(map.Value!);
        }
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    [InlineData(Migration)]
    public void EverySetting_IsOneThatItsProgramReads(string overlay)
    {
        foreach (var container in OwnContainers(Overlay(overlay)))
        {
            var variables = Sequence(container, "env").ToList();
            var names = variables.Select(variable => Text(variable, "name")).ToList();
            var values = variables.Select(variable => (Get(variable, "value") as YamlScalarNode)?.Value ?? "").ToList();
            var referred = values.SelectMany(value => Reference().Matches(value)).Select(match => match.Groups["name"].Value).ToHashSet();

            referred.ShouldAllBe(name => names.Contains(name));
            names.ShouldAllBe(name => OptionNames.All.Contains(name) || OtherSettings.Contains(name) || referred.Contains(name));
        }
    }

    /// <summary>The root file system is read-only, so each folder that a program writes to is a volume's.</summary>
    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    [InlineData(Migration)]
    public void EveryFolderThatIsWritten_LiesOnAVolume(string overlay)
    {
        foreach (var container in OwnContainers(Overlay(overlay)))
        {
            var writable = Sequence(container, "volumeMounts").Where(mount => Get(mount, "readOnly") is null)
                .Select(mount => Text(mount, "mountPath")).ToList();
            writable.ShouldContain("/tmp");
            Sequence(container, "env").Where(variable => Text(variable, "name") is "Agent__StateFolder" or "Dashboard__KeyFolder" or "HOME")
                .ShouldAllBe(variable => writable.Contains(Text(variable, "value")));
        }
    }

    [Fact]
    public void Workers_TakeGpusOfMachinesThatHaveThem_OneWorkerOnEach_WithASizedSharedMemory()
    {
        var pod = PodOf(Workload(Overlay(Farm), "worker"));
        var container = Containers(pod).ShouldHaveSingleItem();

        int.Parse(Text(container, "resources", "limits", "nvidia.com/gpu")).ShouldBeGreaterThan(0);
        // Whole CPUs of its own, near its GPUs.
        Text(container, "resources", "requests", "cpu").ShouldBe(Text(container, "resources", "limits", "cpu"));
        Text(container, "resources", "requests", "memory").ShouldBe(Text(container, "resources", "limits", "memory"));
        Sequence(pod, "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution").ShouldHaveSingleItem();
        var mount = Sequence(container, "volumeMounts").Single(mount => Text(mount, "mountPath") == "/dev/shm");
        var volume = Sequence(pod, "volumes").Single(volume => Text(volume, "name") == Text(mount, "name"));
        Text(volume, "emptyDir", "medium").ShouldBe("Memory");
        Text(volume, "emptyDir", "sizeLimit").ShouldEndWith("Gi");
    }

    [Theory]
    [InlineData(Farm)]
    [InlineData(SingleNode)]
    public void Grace_IsLongerThanTheProgramsTakeToEnd(string overlay)
    {
        var objects = Overlay(overlay);
        var worker = PodOf(Workload(objects, "worker"));
        var given = Sequence(Containers(worker).Single(), "env").Single(variable => Text(variable, "name") == "Agent__ShutdownGrace");
        var grace = TimeSpan.Parse(Text(given, "value"), CultureInfo.InvariantCulture);
        var agent = Constant("Cluster.Worker", "Cluster.Worker.Agent.AgentShutdown", "AnnouncePatience")
            + Constant("Cluster.Worker", "Cluster.Worker.Agent.AgentShutdown", "ReportPatience") + grace + TimeSpan.FromSeconds(5);
        var scheduler = Constant("Cluster.Scheduler", "Cluster.Scheduler.Program", "LongestStop") + TimeSpan.FromSeconds(5);

        Grace(worker).ShouldBeGreaterThan(agent);
        Grace(PodOf(Workload(objects, "scheduler"))).ShouldBeGreaterThan(scheduler);

        static TimeSpan Grace(YamlMappingNode pod) => TimeSpan.FromSeconds(int.Parse(Text(pod, "terminationGracePeriodSeconds")));
    }

    [Theory]
    [InlineData("scheduler")]
    [InlineData("worker")]
    [InlineData("dashboard")]
    public void EveryOwnImage_HasADockerfile_WithTheUserAndThePortsOfItsPods(string program)
    {
        var dockerfile = File.ReadAllText(Repository.PathOf($"deploy/docker/{program}.Dockerfile"));
        var pod = PodOf(Workload(Overlay(Farm), program));
        var container = Containers(pod).ShouldHaveSingleItem();

        Text(container, "image").ShouldStartWith($"cluster/{program}:");
        // A number, so that a pod that must not run as root may run it.
        dockerfile.ShouldContain($"\nUSER {Text(pod, "securityContext", "runAsUser")}\n");
        Exposed().Match(dockerfile).Groups["ports"].Value.Split(' ').Order()
            .ShouldBe(Sequence(container, "ports").Select(port => Text(port, "containerPort")).Order());
    }

    private static void ShouldBeAlike(IEnumerable<YamlMappingNode> overlay, IEnumerable<YamlMappingNode> chart)
    {
        var (objects, rendered) = (ByName([.. overlay, .. Overlay(Migration)]), ByName(chart));

        rendered.Keys.Order().ShouldBe(objects.Keys.Order());
        foreach (var (name, text) in objects)
            rendered[name].ShouldBe(text, name);

        static Dictionary<string, string> ByName(IEnumerable<YamlMappingNode> documents) =>
            documents.ToDictionary(document => $"{Text(document, "kind")} {Name(document)}", Canonical);
    }

    [GeneratedRegex(@":\d+(\.\d+)+$", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex PinnedTag();

    [GeneratedRegex(@"\$\((?<name>\w+)\)", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex Reference();

    [GeneratedRegex(@"\nEXPOSE (?<ports>[\d ]+)\n", RegexOptions.ExplicitCapture, 30000)]
    private static partial Regex Exposed();

    private static TimeSpan Constant(string assembly, string type, string field) => (TimeSpan)Assembly.Load(assembly).GetType(type)!
        .GetField(field, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)!.GetValue(null)!;

    private static IEnumerable<YamlMappingNode> OfKind(IEnumerable<YamlMappingNode> objects, params string[] kinds) =>
        objects.Where(document => kinds.Contains(Text(document, "kind")));

    private static IEnumerable<YamlMappingNode> Workloads(IEnumerable<YamlMappingNode> objects) =>
        OfKind(objects, "Deployment", "StatefulSet", "Job");

    private static YamlMappingNode Workload(IEnumerable<YamlMappingNode> objects, string name) =>
        Workloads(objects).Single(workload => Name(workload) == name);

    private static List<YamlMappingNode> Selected(IEnumerable<YamlMappingNode> objects, YamlNode? selector)
    {
        var pods = Workloads(objects).Where(workload =>
            Labels(selector).IsSubsetOf(Labels(Get(workload, "spec", "template", "metadata", "labels")))).ToList();
        pods.ShouldNotBeEmpty($"{selector}");
        return pods;
    }

    private static YamlMappingNode PodOf(YamlMappingNode workload) => (YamlMappingNode)Get(workload, "spec", "template", "spec")!;

    private static IEnumerable<YamlMappingNode> Containers(YamlMappingNode pod) => Sequence(pod, "containers");

    private static IEnumerable<YamlMappingNode> OwnContainers(IEnumerable<YamlMappingNode> objects) => Workloads(objects)
        .SelectMany(workload => Containers(PodOf(workload)))
        .Where(container => Text(container, "image").StartsWith("cluster/", StringComparison.Ordinal));

    private static HashSet<string> Labels(YamlNode? node) =>
        [.. ((YamlMappingNode)node!).Children.Select(label => $"{label.Key}={label.Value}")];
}
