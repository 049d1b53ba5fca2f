using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

public sealed class EnvironmentReportTests
{
    [Theory]
    [InlineData("processor\t: 0\nmodel name\t: Intel(R) Xeon(R): Special\nflags\t: fpu\n", "Intel(R) Xeon(R): Special")]
    [InlineData("processor\t: 0\nCPU part\t: 0xd40\n", "unknown")]
    public void CpuModel_IsTheKernelsName(string cpuInfo, string expected)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, cpuInfo);
            EnvironmentReport.CpuModel(path).ShouldBe(expected);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void CpuModel_WithoutTheFile_IsUnknown() => EnvironmentReport.CpuModel("/nonexistent").ShouldBe("unknown");
}
