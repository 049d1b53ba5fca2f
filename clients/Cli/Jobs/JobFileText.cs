using System.Text;
using Cluster.Contracts.JobFiles;

namespace Cluster.Cli.Jobs;

/// <summary>Reads the file that a verb was given.</summary>
internal static class JobFileText
{
    // Strict: a file in another encoding would otherwise be read with its letters replaced.
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <param name="path">"-" for standard input.</param>
    /// <param name="input">Standard input.</param>
    /// <exception cref="CliException">There is no such file, or it holds no text.</exception>
    public static async Task<string> ReadAsync(string path, TextReader input, CancellationToken cancellationToken)
    {
        if (path == "-")
            return await input.ReadToEndAsync(cancellationToken);
        try
        {
            JobFile.CheckSize(new FileInfo(path).Length);
            return Utf8.GetString(await File.ReadAllBytesAsync(path, cancellationToken));
        }
        catch (FileNotFoundException)
        {
            throw new CliException(ExitCode.Usage, $"FILE is {path} but no such file exists; examples/ holds some to begin with");
        }
        catch (DecoderFallbackException)
        {
            throw new CliException(ExitCode.Usage, $"FILE is {path} but holds no UTF-8 text; save it as UTF-8");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CliException(
                ExitCode.Usage, $"FILE is {path} but cannot be read ({fault.Message}); name a job file that you may read");
        }
    }
}
