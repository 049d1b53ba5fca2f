using k8s;

namespace Cluster.Architecture.Tests.Kubernetes;

/// <summary>Each object has the fields of its kind, by Kubernetes' own description of its API, and no others.</summary>
public sealed class SchemaTests
{
    [Theory]
    [InlineData("overlays/farm")]
    [InlineData("overlays/single-node")]
    [InlineData("migrate")]
    public void Overlay_KeepsToTheSchema(string overlay) => Load(Manifests.OverlayText(overlay));

    [Theory]
    [InlineData("values.yaml")]
    [InlineData("values-single-node.yaml")]
    public void Chart_KeepsToTheSchema(string values)
    {
        foreach (var template in HelmChart.Render("deploy/helm/cluster", values))
            Load(template);
    }

    [Theory]
    [InlineData("terminationGracePeriodSeconds:", "terminationGraceSeconds:")]
    [InlineData("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: maybe")]
    [InlineData("apiVersion: policy/v1", "apiVersion: policy/v7")]
    public void Mistake_IsFound(string right, string wrong)
    {
        var text = Manifests.OverlayText("overlays/farm");
        text.ShouldContain(right);

        Should.Throw<Exception>(() => Load(text.Replace(right, wrong, StringComparison.Ordinal)));
    }

    private static void Load(string yaml) => KubernetesYaml.LoadAllFromString(yaml, strict: true).ShouldNotBeEmpty();
}
