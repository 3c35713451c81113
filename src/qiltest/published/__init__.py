"""What only the published Qwen-Image-Lightning report needs: its findings, its tables' diagnostics, fine detail."""
