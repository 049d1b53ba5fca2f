using System.Collections;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;

namespace Cluster.Worker.Tests.Agent;

public sealed class TrainerEnvironmentTests
{
    [Fact]
    public void For_ACpuSlot_SetsItsThreadsAndHidesTheGpus()
    {
        var environment = TrainerEnvironment.For(new Hashtable(), new TrainerLaunch { Device = "cpu:1", Threads = 3, Rank = 2, LocalRank = 1, WorldSize = 4 });

        environment["OPENBLAS_NUM_THREADS"].ShouldBe("3");
        environment["OMP_NUM_THREADS"].ShouldBe("3");
        environment["OMP_WAIT_POLICY"].ShouldBe("passive");
        environment["CUDA_VISIBLE_DEVICES"].ShouldBe("");
        (environment["RANK"], environment["LOCAL_RANK"], environment["WORLD_SIZE"]).ShouldBe(("2", "1", "4"));
    }

    [Fact]
    public void For_AGpu_ShowsThatOneByBusId()
    {
        var environment = TrainerEnvironment.For(new Hashtable(), new TrainerLaunch { Device = "cuda:3", Threads = 1 });

        (environment["CUDA_VISIBLE_DEVICES"], environment["CUDA_DEVICE_ORDER"]).ShouldBe(("3", "PCI_BUS_ID"));
    }

    [Fact]
    public void For_AnyDevice_PutsOurAllocatorBehindWhatIsSet()
    {
        var inherited = new Hashtable { ["LD_PRELOAD"] = "/opt/libtcmalloc.so", ["MALLOC_CONF"] = "thp:never", ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=0" };

        var environment = TrainerEnvironment.For(inherited, new TrainerLaunch { Device = "cpu:0", Threads = 1 });

        Jemalloc.Path.ShouldNotBeNull("libjemalloc2 is among the packages that ./cluster test installs");
        environment["LD_PRELOAD"].ShouldBe($"/opt/libtcmalloc.so:{Jemalloc.Path}"); // the first that has malloc gives it
        environment["MALLOC_CONF"].ShouldEndWith(",thp:always,thp:never");           // the last setting counts
        environment["GLIBC_TUNABLES"].ShouldBe("glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0");
    }

    [Fact]
    public void For_AnyDevice_PassesTheRestOnButNoSecretsAndNoOtherMachinesBlasSettings()
    {
        var inherited = new Hashtable
        {
            ["PATH"] = "/bin",
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector:4317",
            ["CLUSTER_TOKEN"] = "secret",
            ["Agent__NodeTokenFile"] = "/token",
            ["ConnectionStrings__Cluster"] = "Password=secret",
            ["OPENBLAS_CORETYPE"] = "Haswell",
            ["OPENBLAS_L2_SIZE"] = "1",
        };

        var environment = TrainerEnvironment.For(inherited, new TrainerLaunch { Device = "cpu:0", Threads = 1 });

        environment["PATH"].ShouldBe("/bin");
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"].ShouldBe("http://collector:4317");
        environment.Keys.ShouldNotContain(key => inherited.ContainsKey(key) && key != "PATH" && !key.StartsWith("OTEL", StringComparison.Ordinal));
    }
}
