using Microsoft.AspNetCore.Components;
using Microsoft.FluentUI.AspNetCore.Components;

namespace Cluster.Dashboard.Layout;

/// <summary>A dialog that asks for something, or leaves all as it is; it goes when its page is left.</summary>
public abstract class PageDialog : FluentDialogInstance, IDisposable
{
    private IDisposable? _leaving;

    [Inject]
    protected NavigationManager Navigation { get; set; } = null!;

    /// <summary>What the button says that does it.</summary>
    protected abstract string ActLabel { get; }

    /// <summary>What who has opened the dialog is told.</summary>
    protected abstract object Answer { get; }

    public void Dispose()
    {
        _leaving?.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override void OnInitializeDialog(DialogOptionsHeader header, DialogOptionsFooter footer)
    {
        footer.PrimaryAction.Label = ActLabel;
        footer.SecondaryAction.Label = "Leave it";
        _leaving = Navigation.RegisterLocationChangingHandler(async _ => await DialogInstance.CancelAsync());
    }

    protected override Task OnActionClickedAsync(bool primary) =>
        primary ? DialogInstance.CloseAsync(Answer) : DialogInstance.CancelAsync();
}
