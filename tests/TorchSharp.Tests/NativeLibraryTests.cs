using TorchSharp.Interop;

namespace Cluster.TorchSharp.Tests;

public sealed class NativeLibraryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("native-library-");

    [Fact]
    public void Load_WhenTheNativePartIsNotBuilt_NamesTheRemedy() =>
        Should.Throw<DllNotFoundException>(() => NativeMethods.LoadFrom(_folder.FullName)).Message
            .ShouldBe($"{_folder.FullName}/libLibTorchSharp.so does not exist: the native part of TorchSharp is not built; run ./cluster setup and build again");

    [Fact]
    public void Load_WhenTheLibraryDoesNotLoad_NamesTheRemedyAndTheCause()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "libLibTorchSharp.so"), new string('x', 4096));

        var message = Should.Throw<DllNotFoundException>(() => NativeMethods.LoadFrom(_folder.FullName)).Message;
        message.ShouldContain("run ./cluster setup to install libtorch and rebuild it");
        message.ShouldContain("invalid ELF header");
    }

    public void Dispose() => _folder.Delete(true);
}
